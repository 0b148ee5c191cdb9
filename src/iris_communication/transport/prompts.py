"""What a server asks for by keyboard-interactive, and whether the password is the answer.

Its prompts are in whatever language it speaks, so the first hidden one is taken for that of the password, unless it
names something else that it wants: a token, a code, a new password. It is answered once a connection: if it is asked
again, the answer was wrong, and a third wrong one may lock the account.
"""

import re

from iris_communication.plain_text import PEER_TEXT_MAX

SAYS_PASSWORD = re.compile(r"pass(?:word|code|wort)", re.IGNORECASE)
WANTS_ANOTHER = re.compile(
    r"\bone.?time\b|\botp\b|\bnew\b|\bneues\b|\bretype\b|\bre-?enter\b|\bagain\b|\bconfirm", re.IGNORECASE
)
WANTS_NO_PASSWORD = re.compile(
    r"passphrase|\btoken|\bcodes?\b|\bpin\b|\bdigit|verification|authenticator|captcha|\buser.?name|\blogin\b",
    re.IGNORECASE,
)


def is_for_the_password(prompt: str) -> bool:
    beginning = prompt[:PEER_TEXT_MAX]
    if WANTS_ANOTHER.search(beginning):
        return False
    return SAYS_PASSWORD.search(beginning) is not None or WANTS_NO_PASSWORD.search(beginning) is None
