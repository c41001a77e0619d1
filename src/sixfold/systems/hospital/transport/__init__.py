"""How messages travel between coordinator and hospitals: in one process, through Ray actors, through Flower."""
