"""The Eye: reviews charts with reasons, and shows them."""
