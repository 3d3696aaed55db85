"""What the page is allowed to do: the browser itself keeps it from any host that is not declared."""

import base64
import hashlib
import re

_INLINE = re.compile(r"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)


def headers(page: str, origins: tuple[str, ...]) -> dict[str, str]:
    """Return the headers for the files of a viewer whose page is `page` and which may speak to `origins`.

    The page is isolated (COOP and COEP), never framed, and connects to its own host and `origins` only (Content
    Security Policy Level 3). Compiled decoders need `unsafe-eval`: they make their glue at run time.
    """
    scripts = " ".join(f"'sha256-{digest}'" for digest in inline_digests(page))
    policy = {
        "default-src": "'self'",
        "script-src": f"'self' 'unsafe-eval' 'wasm-unsafe-eval' blob: {scripts}".rstrip(),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "connect-src": " ".join(["'self'", "data:", "blob:", *origins]),
        "form-action": "'self'",
        "base-uri": "'self'",
        "object-src": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def inline_digests(page: str) -> list[str]:
    """Return the digests by which a policy allows the inline scripts of a page, and no others."""
    texts = [match["text"] for match in _INLINE.finditer(page) if "src=" not in match["attributes"]]
    return [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in texts]
