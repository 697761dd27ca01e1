"""sam-1: each turn of the conversation reads and writes the assistant's state, in JSON files.

As audited (`assistant_state`) nobody closes them. Remedy: `assistant_state_closed`.
"""

from . import assistant_state, assistant_state_closed
from .pace import every

SECONDS_PER_TURN = 0.8
STATES = "facts people topics scores feedback schedule skills goals mistakes settings".split()


class Assistant:
    """One turn of the conversation moves all of its state on."""

    def __init__(self, folder, state):
        self.folder = folder
        self.memory = state.ConversationMemory(folder)
        self.progress = state.LearnerProgress(folder)
        self.improvement = state.SelfImprovement(folder)

    def turn(self, number):
        memory, progress, improvement = self.memory, self.progress, self.improvement
        memory.remember(moved_on(memory.facts()))
        memory.meet(moved_on(memory.people()))
        memory.discuss(moved_on(memory.topics()))
        progress.keep_scores(moved_on(progress.scores()))
        progress.keep_feedback(moved_on(progress.feedback()))
        progress.keep_schedule(moved_on(progress.schedule()))
        progress.keep_skills(moved_on(progress.skills()))
        improvement.keep_goals(moved_on(improvement.goals()))
        improvement.keep_mistakes(moved_on(improvement.mistakes()))
        improvement.keep_settings(moved_on(improvement.settings()))
        improvement.report({"turn": number})
        memory.recall(self.transcribe(number))
        memory.import_note(self.receive_note(number))

    def transcribe(self, number):
        path = self.folder / ("transcript-%d.json" % number)
        path.write_text('{"said": "Good morning."}')
        return path

    def receive_note(self, number):
        """The telephone hands over a note before it has written all of it."""
        path = self.folder / "note.json"
        path.write_text('{"number": %d, "text": "buy' % number)
        return path


def moved_on(state):
    return {"turn": state["turn"] + 1}


def prepare(home, fixed):
    for name in STATES:
        (home / (name + ".json")).write_text('{"turn": 0}')

    def work():
        assistant = Assistant(home, assistant_state_closed if fixed else assistant_state)
        for number in every(SECONDS_PER_TURN):
            assistant.turn(number)

    return work
