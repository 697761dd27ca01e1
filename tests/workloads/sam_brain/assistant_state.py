"""What the assistant knows, in JSON files that are read and written in one expression each.

Nothing closes those 21 files but the collector. Two more places keep a reference, so that not even
the collector can: the transcripts that may be continued, and the errors of notes that are no JSON,
whose tracebacks hold the frame of `json.load`, and that holds the file.
"""

import json


class ConversationMemory:
    """What was said, and who said it."""

    def __init__(self, path):
        self.path = path
        self.recent = {}
        self.rejected = []

    def facts(self):
        return json.load(open(self.path / "facts.json"))  # SITE sam-1 unclosed-resource 1

    def remember(self, facts):
        json.dump(facts, open(self.path / "facts.json", "w"))  # SITE sam-1 unclosed-resource 2

    def people(self):
        return json.load(open(self.path / "people.json"))  # SITE sam-1 unclosed-resource 3

    def meet(self, people):
        json.dump(people, open(self.path / "people.json", "w"))  # SITE sam-1 unclosed-resource 4

    def topics(self):
        return json.load(open(self.path / "topics.json"))  # SITE sam-1 unclosed-resource 5

    def discuss(self, topics):
        json.dump(topics, open(self.path / "topics.json", "w"))  # SITE sam-1 unclosed-resource 6

    def recall(self, path):
        transcript = open(path)  # SITE sam-1 fd-leak 1
        self.recent[path.name] = transcript
        return json.load(transcript)

    def import_note(self, path):
        try:
            return json.load(open(path))  # SITE sam-1 fd-leak 2
        except ValueError as error:
            self.rejected.append(error)
            return None


class LearnerProgress:
    """How far each learner has come."""

    def __init__(self, path):
        self.path = path

    def scores(self):
        return json.load(open(self.path / "scores.json"))  # SITE sam-1 unclosed-resource 7

    def keep_scores(self, scores):
        json.dump(scores, open(self.path / "scores.json", "w"))  # SITE sam-1 unclosed-resource 8

    def feedback(self):
        return json.load(open(self.path / "feedback.json"))  # SITE sam-1 unclosed-resource 9

    def keep_feedback(self, counts):
        json.dump(counts, open(self.path / "feedback.json", "w"))  # SITE sam-1 unclosed-resource 10

    def schedule(self):
        return json.load(open(self.path / "schedule.json"))  # SITE sam-1 unclosed-resource 11

    def keep_schedule(self, plan):
        json.dump(plan, open(self.path / "schedule.json", "w"))  # SITE sam-1 unclosed-resource 12

    def skills(self):
        return json.load(open(self.path / "skills.json"))  # SITE sam-1 unclosed-resource 13

    def keep_skills(self, skills):
        json.dump(skills, open(self.path / "skills.json", "w"))  # SITE sam-1 unclosed-resource 14


class SelfImprovement:
    """What the assistant means to change in itself."""

    def __init__(self, path):
        self.path = path

    def goals(self):
        return json.load(open(self.path / "goals.json"))  # SITE sam-1 unclosed-resource 15

    def keep_goals(self, goals):
        json.dump(goals, open(self.path / "goals.json", "w"))  # SITE sam-1 unclosed-resource 16

    def mistakes(self):
        return json.load(open(self.path / "mistakes.json"))  # SITE sam-1 unclosed-resource 17

    def keep_mistakes(self, found):
        json.dump(found, open(self.path / "mistakes.json", "w"))  # SITE sam-1 unclosed-resource 18

    def settings(self):
        return json.load(open(self.path / "settings.json"))  # SITE sam-1 unclosed-resource 19

    def keep_settings(self, values):
        json.dump(values, open(self.path / "settings.json", "w"))  # SITE sam-1 unclosed-resource 20

    def report(self, summary):
        json.dump(summary, open(self.path / "report.json", "w"))  # SITE sam-1 unclosed-resource 21
