"""How well a folder of labelled images is searched: one run, from the files to the figures."""
