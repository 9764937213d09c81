#include "console.h"

uint8_t queue[3 * QUEUE], queue_length, sprites[16];
uint8_t held, pressed;
uint32_t chance_state;

/* Letters of five columns and seven rows, drawn for these games; five bits a row. */
static const uint8_t letters[26][7] = {
    {14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30}, {14, 17, 16, 16, 16, 17, 14},
    {30, 17, 17, 17, 17, 17, 30}, {31, 16, 16, 30, 16, 16, 31}, {31, 16, 16, 30, 16, 16, 16},
    {14, 17, 16, 23, 17, 17, 14}, {17, 17, 17, 31, 17, 17, 17}, {14, 4, 4, 4, 4, 4, 14},
    {7, 2, 2, 2, 2, 18, 12},      {17, 18, 20, 24, 20, 18, 17}, {16, 16, 16, 16, 16, 16, 31},
    {17, 27, 21, 21, 17, 17, 17}, {17, 25, 21, 21, 19, 17, 17}, {14, 17, 17, 17, 17, 17, 14},
    {30, 17, 17, 30, 16, 16, 16}, {14, 17, 17, 17, 21, 18, 13}, {30, 17, 17, 30, 20, 18, 17},
    {15, 16, 16, 14, 1, 1, 30},   {31, 4, 4, 4, 4, 4, 4},       {17, 17, 17, 17, 17, 17, 14},
    {17, 17, 17, 17, 17, 10, 4},  {17, 17, 17, 21, 21, 27, 17}, {17, 17, 10, 4, 10, 17, 17},
    {17, 17, 10, 4, 4, 4, 4},     {31, 1, 2, 4, 8, 16, 31},
};
static const uint8_t digits[10][7] = {
    {14, 17, 19, 21, 25, 17, 14}, {4, 12, 4, 4, 4, 4, 14},    {14, 17, 1, 6, 8, 16, 31},  {30, 1, 1, 14, 1, 1, 30},
    {2, 6, 10, 18, 31, 2, 2},     {31, 16, 30, 1, 1, 17, 14}, {6, 8, 16, 30, 17, 17, 14}, {31, 1, 2, 4, 8, 8, 8},
    {14, 17, 17, 14, 17, 17, 14}, {14, 17, 17, 15, 1, 2, 12},
};

static void read_buttons(void) {
    uint8_t now, before = held;
    P1 = 0x20;
    now = P1;
    now = P1 & 0x0F;
    P1 = 0x10;
    held = P1;
    held = P1;
    held = P1;
    held = (uint8_t) ~(uint8_t)(now | (uint8_t)(held << 4));
    P1 = 0x30;
    pressed = held & ~before;
}

void next_frame(void) {
    wait_vblank();
    flush();
    frames++;
    read_buttons();
}

void rest(uint8_t count) {
    while (count--) next_frame();
}

void put(uint16_t address, uint8_t byte) {
    uint8_t *entry;
    if (!(LCDC & 0x80)) {
        *(uint8_t *)address = byte;
        return;
    }
    if (queue_length == QUEUE) next_frame();
    entry = queue + (uint16_t)queue_length * 3;
    entry[0] = (uint8_t)address;
    entry[1] = (uint8_t)(address >> 8);
    entry[2] = byte;
    queue_length++;
}

void write_text(uint8_t column, uint8_t row, const char *text) {
    uint16_t address = AT(column, row);
    while (*text) {
        put(address++, *text == ' ' ? BLANK : (uint8_t)*text);
        text++;
    }
}

void write_number(uint8_t column, uint8_t row, uint16_t number, uint8_t count) {
    uint16_t address = AT(column, row) + count;
    while (count--) {
        put(--address, '0' + (uint8_t)(number % 10));
        number /= 10;
    }
}

void screen_on(void) {
    LCDC = 0x93;
}

void clear_screen(void) {
    uint8_t x, y;
    for (x = 0; x < 16; x++) sprites[x] = 0;
    for (y = 0; y < 18; y++)
        for (x = 0; x < 20; x++) put(AT(x, y), BLANK);
}

void load_tile(uint8_t tile, const uint8_t *low, const uint8_t *high) {
    uint8_t *data = TILE_DATA + (uint16_t)tile * 16;
    uint8_t i;
    for (i = 0; i < 8; i++) {
        *data++ = low[i];
        *data++ = high[i];
    }
}

static void load_letter(uint8_t tile, const uint8_t *rows) {
    uint8_t bits[8], i;
    bits[7] = 0;
    for (i = 0; i < 7; i++) bits[i] = rows[i] << 2;
    load_tile(tile, bits, bits);
}

void load_tiles(void) {
    uint16_t i;
    LCDC = 0x80;
    wait_vblank();
    LCDC = 0;
    for (i = 0; i < 8192; i++) TILE_DATA[i] = 0;
    for (i = 0; i < 160; i++) REGISTER(0xFE00 + i) = 0;
    for (i = 0; i < 26; i++) load_letter('A' + i, letters[i]);
    for (i = 0; i < 10; i++) load_letter('0' + i, digits[i]);
    SCX = SCY = 0;
    BGP = OBP0 = 0xE4;
    NR52 = 0;
}

void await_start(void) {
    state = TITLE;
    start = 0;
    do {
        next_frame();
        if (pressed & START) {
            seed = ((uint32_t)frames << 8) ^ DIV;
            start = 1;
        }
    } while (!start);
    start = 0;
    chance_state = seed ^ 0x9E3779B9;
    if (!chance_state) chance_state = 1;
    for (held = 0; held < 8; held++) chance();
    held = 0xFF;
}

uint8_t chance(void) {
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 17;
    chance_state ^= chance_state << 5;
    return (uint8_t)(chance_state >> 16);
}

uint8_t below(uint8_t limit) {
    uint8_t mask = 1, drawn;
    while (mask < limit) mask = (uint8_t)(mask << 1) | 1;
    do drawn = chance() & mask; while (drawn >= limit);
    return drawn;
}
