"""Game Boy environments for rtbench: two free games, and Tetris and Pokémon from a cartridge image of one's own."""
