"""New actions from a handful of clips, without drawing boxes."""
