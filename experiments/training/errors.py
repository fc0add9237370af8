"""What a run reports in one sentence instead of a traceback."""


class RunError(Exception):
    """Something that the person who started the run can act on; the message is a whole sentence that says how."""


class Interrupted(RunError):
    """The run was asked to stop by a signal and has saved itself; `signal` is the signal's number."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal
