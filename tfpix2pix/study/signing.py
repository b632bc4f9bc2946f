"""What the server derives from the secret key of a study, so that nobody without the key can guess it."""

import hashlib
import hmac

from tfpix2pix.study.records import Session

# 32 letters and digits that nobody mistakes for each other.
_CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE_LENGTH = 10


class Signer:
    """Makes names, seeds, codes and blanks of sessions.

    Args:
      secret: the key, of 32 bytes or more.
    """

    def __init__(self, secret: bytes):
        self._secret = secret

    def name_visit(self, session: Session) -> str:
        """Returns the name of the newest visit of a session."""
        # The number alone would not do, because a visit of another session may have the same.
        return self._sign(f"visit/{session.session_id}/{session.visit}").hex()[:32]

    def address_image(self, session: Session, index: int, side: str) -> str:
        """Returns the address of an image in the newest visit of a session."""
        return self._sign(f"image/{session.session_id}/{session.visit}/{index}/{side}").hex()[:32]

    def completion_code(self, session: Session) -> str:
        """Returns the code that tells a crowd platform that a session is finished."""
        digest = self._sign(f"code/{session.session_id}")
        return "".join(_CODE_ALPHABET[byte % 32] for byte in digest[:_CODE_LENGTH])

    def draw_gap_ms(self, session: Session, index: int, side: str, least_ms: float, most_ms: float) -> int:
        """Returns the length of a blank, evenly drawn and in whole ms.

        It does not come from the seed of the session, which decides the sides too: a person who measures
        blanks could try seeds until they fit, and know all sides.
        """
        digest = self._sign(f"gap/{session.session_id}/{index}/{side}")
        share = int.from_bytes(digest[:7], "big") / 2**56
        return round(least_ms + (most_ms - least_ms) * share)

    def draw_session_seed(self, session_id: str) -> int:
        """Returns the seed of a new session, which decides its sides and its order, in [0, 2**53).

        It does not come from the seed of the study, which a person could guess, nor from the number of the
        session, so that a person who was removed and begins again sees the trials anew.
        """
        return int.from_bytes(self._sign(f"session/{session_id}")[:7], "big") >> 3

    def _sign(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), "sha256")


def hash_token(token: str) -> str:
    """Returns what the server keeps of a token: nobody who reads the answers can go on with a session."""
    return hashlib.sha256(token.encode()).hexdigest()
