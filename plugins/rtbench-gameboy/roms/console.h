/* What both games need of the console: a frame, the buttons, tiles, text, numbers, chance. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint8_t *)(address))
#define P1 REGISTER(0xFF00)
#define DIV REGISTER(0xFF04)
#define NR52 REGISTER(0xFF26)
#define LCDC REGISTER(0xFF40)
#define SCY REGISTER(0xFF42)
#define SCX REGISTER(0xFF43)
#define LY REGISTER(0xFF44)
#define BGP REGISTER(0xFF47)
#define OBP0 REGISTER(0xFF48)

#define TILE_DATA ((uint8_t *)0x8000)

#define AT(column, row) (0x9800 + (uint16_t)(row) * 32 + (column))

enum { RIGHT = 0x01, LEFT = 0x02, UP = 0x04, DOWN = 0x08, A = 0x10, B = 0x20, SELECT = 0x40, START = 0x80 };
enum { WHITE, LIGHT, DARK, BLACK };

/* Tiles that both games share; a game's own follow. Letters lie where their ASCII code is, the rest below 32. */
enum { BLANK = 0, TILES_OF_GAMES = 96, QUEUE = 48 };

/* What the world outside reads and writes, at the same place in both games. */
volatile uint32_t __at(0xC000) seed;     /* chance begins here */
volatile uint8_t __at(0xC004) start;     /* a 1 starts a game at the title, as START does */
volatile uint8_t __at(0xC005) state;     /* TITLE, PLAYING, OVER */
volatile uint16_t __at(0xC006) frames;   /* of the program, since it was switched on */
enum { TITLE, PLAYING, OVER };

extern uint8_t queue[3 * QUEUE], queue_length, sprites[16];
extern uint8_t held, pressed;            /* buttons down now, buttons that went down in this frame */

void wait_vblank(void);
void flush(void);
void next_frame(void);
void rest(uint8_t count);                /* so many frames in which buttons do nothing */
void put(uint16_t address, uint8_t byte);   /* into video memory, at the next vertical blank */
void write_text(uint8_t column, uint8_t row, const char *text);
void write_number(uint8_t column, uint8_t row, uint16_t number, uint8_t digits);
void load_tiles(void);                   /* at the very first: it leaves the screen off */
void screen_on(void);                    /* for good: what an emulator shows of a screen that is off is not its state */
void clear_screen(void);
void load_tile(uint8_t tile, const uint8_t *low, const uint8_t *high);  /* the two bits of every pixel, eight rows */
void await_start(void);                  /* at the title: START, or `start` written from outside */
uint8_t chance(void);                    /* a byte of Marsaglia's xorshift of 32 bits */
uint8_t below(uint8_t limit);            /* 0 to limit - 1, all equally likely */
extern uint32_t chance_state;

#endif
