"""The same state, after the audit: every file goes through two functions that close it.

Of a transcript the content is kept and not the file; of an error its text and not its traceback.
"""

import json


def read_json(path):
    with open(path) as file:
        return json.load(file)


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file)


class ConversationMemory:
    """What was said, and who said it."""

    def __init__(self, path):
        self.path = path
        self.recent = {}
        self.rejected = []

    def facts(self):
        return read_json(self.path / "facts.json")

    def remember(self, facts):
        write_json(self.path / "facts.json", facts)

    def people(self):
        return read_json(self.path / "people.json")

    def meet(self, people):
        write_json(self.path / "people.json", people)

    def topics(self):
        return read_json(self.path / "topics.json")

    def discuss(self, topics):
        write_json(self.path / "topics.json", topics)

    def recall(self, path):
        self.recent[path.name] = read_json(path)
        return self.recent[path.name]

    def import_note(self, path):
        try:
            return read_json(path)
        except ValueError as error:
            self.rejected.append(str(error))
            return None


class LearnerProgress:
    """How far each learner has come."""

    def __init__(self, path):
        self.path = path

    def scores(self):
        return read_json(self.path / "scores.json")

    def keep_scores(self, scores):
        write_json(self.path / "scores.json", scores)

    def feedback(self):
        return read_json(self.path / "feedback.json")

    def keep_feedback(self, counts):
        write_json(self.path / "feedback.json", counts)

    def schedule(self):
        return read_json(self.path / "schedule.json")

    def keep_schedule(self, plan):
        write_json(self.path / "schedule.json", plan)

    def skills(self):
        return read_json(self.path / "skills.json")

    def keep_skills(self, skills):
        write_json(self.path / "skills.json", skills)


class SelfImprovement:
    """What the assistant means to change in itself."""

    def __init__(self, path):
        self.path = path

    def goals(self):
        return read_json(self.path / "goals.json")

    def keep_goals(self, goals):
        write_json(self.path / "goals.json", goals)

    def mistakes(self):
        return read_json(self.path / "mistakes.json")

    def keep_mistakes(self, found):
        write_json(self.path / "mistakes.json", found)

    def settings(self):
        return read_json(self.path / "settings.json")

    def keep_settings(self, values):
        write_json(self.path / "settings.json", values)

    def report(self, summary):
        write_json(self.path / "report.json", summary)
