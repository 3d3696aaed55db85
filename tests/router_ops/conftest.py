from tests.router.conftest import cloud, make_router, pacs, router

__all__ = ["cloud", "make_router", "pacs", "router"]
