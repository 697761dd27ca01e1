"""The rows of the audit: which module shows each, and what it does in one line."""

ROWS = {
    "sam-1": ("assistant", "state in JSON files that nobody closes, at 21 places"),
    "sam-2": ("memory_guard", "two subprocesses for every memory check, four checks a request"),
    "sam-3": ("model_status", "a subprocess for every status request"),
    "sam-4": ("chat_api", "an API of one thread that waits for the model"),
    "sam-5": ("lesson_store", "an exception between SQLite's connect() and close()"),
    "sam-6": ("interaction_db", "a new SQLite connection for every query"),
    "sam-7": ("learners", "fifteen learner threads, a TCP connection for each request"),
    "sam-8": ("research", "requests to a model service that is busy"),
    "sam-9": ("export_reader", "an export of 100 MB read whole again for its last lines"),
    "sam-10": ("trainer", "training data read by should_train() and again by start_training()"),
    "sam-11": ("interaction_log", "a log and a JSONL file that grow without rotation"),
    "sam-12": ("codebase_index", "the whole codebase walked again for every look at it"),
    "sam-13": ("model_host", "two models at once during a switch, one for ever when idle"),
    "sam-14": ("auto_learning", "auto_learning.db beside the settings, not on the data disk"),
    "sam-15": ("scrapers", "scrapers that retry at once"),
}
