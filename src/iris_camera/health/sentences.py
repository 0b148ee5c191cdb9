"""Ages as readable texts, and phrases for files that wait or are gone."""

from iris_communication.runtime.amounts import counted


def age_text(age_s: float) -> str:
    """A readable age: `8 s`, `3 min`, `2 h`, `4 days`."""
    if age_s < 1:
        return "less than 1 s"
    if age_s < 100:
        return f"{age_s:.0f} s"
    if age_s < 100 * 60:
        return f"{age_s / 60:.0f} min"
    if age_s < 48 * 3600:
        return f"{age_s / 3600:.0f} h"
    return f"{age_s / 86400:.0f} days"


def age(now_s: float, since_s: float) -> str:
    return age_text(max(0.0, now_s - since_s))


def because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def wait(count: int) -> str:
    return counted(count, "file waits", "files wait")


def given_up_text(count: int) -> str:
    given_up = counted(count, "file was", "files were")
    return f"{given_up} dropped, cancelled or too late, as it was asked for"


def removed_text(count: int, folder: str) -> str:
    return f"{counted(count, 'finished file was', 'finished files were')} removed from {folder} before delivery"
