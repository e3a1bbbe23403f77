"""Assets to Collibra: what the mirror holds, imported there under ids of the catalog; nothing is deleted by itself."""

from service.targets.collibra_assets.target import CollibraAssets

__all__ = ["CollibraAssets"]
