"""What code on workers logs, told to the logging of the client."""

from __future__ import annotations

import logging
from typing import Any

from oxidask.distributed._plugins import WorkerPlugin

__all__ = ["ForwardLogging", "handle_record", "topic_of"]


def topic_of(logger_name: str | None) -> str:
    """The topic that carries the records of a logger and of those below it."""
    return f"forwarded-log-{logger_name or 'root'}"


class ForwardLogging(WorkerPlugin):
    """Has a logger of the workers send what it logs to a topic."""

    def __init__(self, logger_name: str | None, level: int) -> None:
        self.logger_name, self.level = logger_name, level
        self.name = topic_of(logger_name)

    def setup(self, worker: Any) -> None:
        """Adds the handler."""
        self._handler = _ToTopic(self.name, self.level)
        logging.getLogger(self.logger_name).addHandler(self._handler)

    def teardown(self, worker: Any) -> None:
        """Takes the handler away."""
        logging.getLogger(self.logger_name).removeHandler(self._handler)


class _ToTopic(logging.Handler):
    """Logs events in place of lines."""

    def __init__(self, topic: str, level: int) -> None:
        super().__init__(level)
        self._topic = topic

    def emit(self, record: logging.LogRecord) -> None:
        from oxidask.distributed._context import get_client, membership

        # A worker on threads of the client's own process logs there already; and
        # what is logged outside tasks has no worker.
        if getattr(record, "is_forwarded", False) or membership() is None:
            return
        told = dict(record.__dict__, msg=record.getMessage(), args=None, exc_info=None, is_forwarded=True)
        if record.exc_info:
            told["exc_text"] = logging.Formatter().formatException(record.exc_info)
        try:
            get_client().log_event(self._topic, told)
        except Exception:
            self.handleError(record)


def handle_record(event: Any) -> None:
    """Logs a record of a worker as if it had been logged here."""
    _, told = event
    record = logging.makeLogRecord(told)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
