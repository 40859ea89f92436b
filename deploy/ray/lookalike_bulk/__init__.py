"""Indexes many images at once: embeds them on a Ray cluster and builds the collection beside.

    listing  →  blocks of images  →  vectors, a file a block  →  a shard a partition  →  published

Each arrow's result lies in the work folder, so that a run that was cut off goes on where it
was. The collection appears all at once, or not at all.
"""
