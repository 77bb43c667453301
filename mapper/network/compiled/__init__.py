"""The decoder in compiled loops: matrix products of few rows, attention over cached keys, a cache for each chart."""

__all__ = ["cached_decoder", "kernels", "product_blocks", "products"]
