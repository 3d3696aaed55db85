"""What browsers of other origins may do (CORS-001 to CORS-004)."""

from dataclasses import dataclass

PREFLIGHT = "OPTIONS"


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """The configured origins and what they may send; without origins no browser of another origin gets in."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
    headers: tuple[str, ...] = ("*", "Authorization")
    max_age: int | None = None
    """Seconds a browser may keep the answer to a preflight."""
    credentials: bool = False

    def answer_headers(self, method: str, origin: str | None, *, asks: bool) -> list[tuple[str, str]]:
        """Return the headers for a request of `origin`; `asks` says that it is a preflight."""
        if origin is None or origin not in self.origins:
            return []
        headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if self.credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
        if method == PREFLIGHT and asks:
            headers.append(("Access-Control-Allow-Methods", ", ".join(self.methods)))
            headers.append(("Access-Control-Allow-Headers", ", ".join(self.headers)))
            if self.max_age is not None:
                headers.append(("Access-Control-Max-Age", str(self.max_age)))
        return headers


NO_CORS = CorsPolicy()
