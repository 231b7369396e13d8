"""Many captures, or parts of one, worked on side by side: processes of this machine, any executor, Dask."""
