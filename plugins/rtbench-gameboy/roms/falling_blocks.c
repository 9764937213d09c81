/* A well ten wide and eighteen deep into which blocks of four fall. Full rows vanish and score, the more at once the
   better; every ten rows it gets faster. Left, right: move. A, B: turn. Down: faster, a point a row. It is lost when a
   new piece has no room. A button held acts again after 16 frames and then every 6. */
#include "console.h"

enum { WIDTH = 10, DEPTH = 18, LEFT_EDGE = 2, PANEL = 14, FIRST_REPEAT = 16, REPEAT = 6, DROP = 3, FLASH = 16 };
enum { LOCKED = 1, FALLING, WALL };

volatile uint32_t __at(0xC010) score;
volatile uint16_t __at(0xC014) lines;
volatile uint8_t __at(0xC016) level;
volatile uint8_t __at(0xC017) start_level;   /* set from outside before a game starts, 0 to 20 */
volatile uint8_t __at(0xC018) piece;         /* 0 to 6, or 255 while none falls */
volatile uint8_t __at(0xC019) turn;
volatile int8_t __at(0xC01A) column;
volatile int8_t __at(0xC01B) row;
volatile uint8_t __at(0xC01C) next_piece;
volatile uint16_t __at(0xC01D) pieces;
uint8_t __at(0xC100) well[DEPTH * WIDTH];    /* 0, or 1 where a block lies */

static uint8_t points_shown[6], age_left, age_right, age_a, age_b, wait, dropped;

/* Row and column, a hexadecimal digit each, of the four blocks of every piece in its four turns. */
static const uint8_t shapes[7][4][4] = {
    {{0x10, 0x11, 0x12, 0x13}, {0x02, 0x12, 0x22, 0x32}, {0x20, 0x21, 0x22, 0x23}, {0x01, 0x11, 0x21, 0x31}},
    {{0x01, 0x02, 0x11, 0x12}, {0x01, 0x02, 0x11, 0x12}, {0x01, 0x02, 0x11, 0x12}, {0x01, 0x02, 0x11, 0x12}},
    {{0x01, 0x10, 0x11, 0x12}, {0x01, 0x11, 0x12, 0x21}, {0x10, 0x11, 0x12, 0x21}, {0x01, 0x10, 0x11, 0x21}},
    {{0x01, 0x02, 0x10, 0x11}, {0x01, 0x11, 0x12, 0x22}, {0x11, 0x12, 0x20, 0x21}, {0x00, 0x10, 0x11, 0x21}},
    {{0x00, 0x01, 0x11, 0x12}, {0x02, 0x11, 0x12, 0x21}, {0x10, 0x11, 0x21, 0x22}, {0x01, 0x10, 0x11, 0x20}},
    {{0x00, 0x10, 0x11, 0x12}, {0x01, 0x02, 0x11, 0x21}, {0x10, 0x11, 0x12, 0x22}, {0x01, 0x11, 0x20, 0x21}},
    {{0x02, 0x10, 0x11, 0x12}, {0x01, 0x11, 0x21, 0x22}, {0x10, 0x11, 0x12, 0x20}, {0x00, 0x01, 0x11, 0x21}},
};
static const uint8_t frames_a_row[21] = {52, 47, 42, 37, 32, 27, 22, 18, 14, 11, 9, 8, 7, 6, 5, 4, 4, 3, 3, 3, 2};
static const uint16_t rewards[5] = {0, 40, 100, 300, 1200};

static const uint8_t tiles[3][2][8] = {
    {{0x00, 0x7E, 0x7E, 0x7E, 0x7E, 0x7E, 0x7E, 0x00}, {0xFF, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0xFF}},
    {{0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x00}, {0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0xFE, 0x00}},
    {{0xFE, 0xFE, 0xFE, 0x00, 0xEF, 0xEF, 0xEF, 0x00}, {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}},
};

static uint8_t room(uint8_t turned, int8_t x, int8_t y) {
    const uint8_t *blocks = shapes[piece][turned];
    uint8_t i;
    for (i = 0; i < 4; i++) {
        int8_t at_x = x + (blocks[i] & 15), at_y = y + (blocks[i] >> 4);
        if (at_x < 0 || at_x >= WIDTH || at_y >= DEPTH) return 0;
        if (well[(uint8_t)at_y * WIDTH + (uint8_t)at_x]) return 0;
    }
    return 1;
}

static void show_piece(void) {
    const uint8_t *blocks;
    uint8_t i;
    if (piece > 6) {
        for (i = 0; i < 16; i++) sprites[i] = 0;
        return;
    }
    blocks = shapes[piece][turn];
    for (i = 0; i < 4; i++) {
        sprites[4 * i] = (uint8_t)(row + (blocks[i] >> 4)) * 8 + 16;
        sprites[4 * i + 1] = (uint8_t)(column + (blocks[i] & 15) + LEFT_EDGE) * 8 + 8;
        sprites[4 * i + 2] = FALLING;
        sprites[4 * i + 3] = 0;
    }
}

static void show_next(void) {
    const uint8_t *blocks = shapes[next_piece][0];
    uint8_t i;
    for (i = 0; i < 8; i++) put(AT(PANEL + 1 + (i & 3), 13 + (i >> 2)), BLANK);
    for (i = 0; i < 4; i++) put(AT(PANEL + 1 + (blocks[i] & 15), 13 + (blocks[i] >> 4)), FALLING);
}

static void show_rows(uint8_t from, uint8_t end) {
    uint8_t i, *blocks = well + from * WIDTH;
    for (; from < end; from++)
        for (i = 0; i < WIDTH; i++) put(AT(LEFT_EDGE + i, from), *blocks++ ? LOCKED : BLANK);
}

static void show_numbers(void) {
    uint8_t i;
    for (i = 0; i < 6; i++) put(AT(PANEL + i, 2), '0' + points_shown[i]);
    write_number(PANEL + 1, 5, level, 2);
    write_number(PANEL + 1, 8, lines, 4);
}

static void earn(uint16_t points) {
    uint8_t i, carry = 0;
    score += points;
    for (i = 6; i--;) {
        carry += points_shown[i] + (uint8_t)(points % 10);
        points /= 10;
        points_shown[i] = carry % 10;
        carry /= 10;
    }
}

static void prepare(void) {
    uint8_t i;
    clear_screen();
    for (i = 0; i < DEPTH; i++) {
        put(AT(LEFT_EDGE - 1, i), WALL);
        put(AT(LEFT_EDGE + WIDTH, i), WALL);
    }
    write_text(PANEL, 1, "SCORE");
    write_text(PANEL, 4, "LEVEL");
    write_text(PANEL, 7, "LINES");
    write_text(PANEL, 11, "NEXT");
    for (i = 0; i < DEPTH * WIDTH; i++) well[i] = 0;
    for (i = 0; i < 6; i++) points_shown[i] = 0;
    score = 0;
    lines = pieces = 0;
    level = start_level > 20 ? 20 : start_level;
    piece = 255;
    next_piece = below(7);
    show_numbers();
    next_frame();
}

static uint8_t acts(uint8_t button, uint8_t *age) {
    if (!(held & button)) {
        *age = 0;
        return 0;
    }
    ++*age;
    if (*age == 1) return 1;
    if (*age <= FIRST_REPEAT) return 0;
    *age = FIRST_REPEAT + 1 - REPEAT;
    return 1;
}

static void obey(void) {
    uint8_t turned = turn;
    if (acts(LEFT, &age_left) && room(turn, column - 1, row)) column--;
    if (acts(RIGHT, &age_right) && room(turn, column + 1, row)) column++;
    if (acts(A, &age_a)) turned = (turned + 1) & 3;
    if (acts(B, &age_b)) turned = (turned + 3) & 3;
    if (turned != turn && room(turned, column, row)) turn = turned;
}

/* One frame; 0 when the piece has come to rest. */
static uint8_t fall(void) {
    next_frame();
    obey();
    wait++;
    if (held & DOWN ? wait >= DROP : wait >= frames_a_row[level]) {
        wait = 0;
        if (!room(turn, column, row + 1)) return 0;
        row++;
        if (held & DOWN) dropped++;
    }
    show_piece();
    return 1;
}

static void lock(void) {
    const uint8_t *blocks = shapes[piece][turn];
    uint8_t i, x, y;
    for (i = 0; i < 4; i++) {
        x = (uint8_t)column + (blocks[i] & 15);
        y = (uint8_t)row + (blocks[i] >> 4);
        well[y * WIDTH + x] = 1;
        put(AT(LEFT_EDGE + x, y), LOCKED);
    }
    piece = 255;
    show_piece();
    next_frame();
}

static uint8_t full(uint8_t y) {
    const uint8_t *blocks = well + y * WIDTH;
    uint8_t i;
    for (i = 0; i < WIDTH; i++)
        if (!blocks[i]) return 0;
    return 1;
}

static uint8_t vanish(void) {
    uint8_t y, i, gone = 0, to;
    for (y = 0; y < DEPTH; y++) {
        if (!full(y)) continue;
        gone++;
        for (i = 0; i < WIDTH; i++) put(AT(LEFT_EDGE + i, y), WALL);
    }
    if (!gone) return 0;
    rest(FLASH);
    to = DEPTH;
    for (y = DEPTH; y--;) {
        if (full(y)) continue;
        to--;
        for (i = 0; i < WIDTH; i++) well[to * WIDTH + i] = well[y * WIDTH + i];
    }
    for (i = 0; i < gone * WIDTH; i++) well[i] = 0;
    show_rows(0, DEPTH);
    return gone;
}

static void play(void) {
    uint8_t gone, up;
    prepare();
    state = PLAYING;
    for (;;) {
        piece = next_piece;
        next_piece = below(7);
        turn = 0;
        column = 3;
        row = 0;
        wait = dropped = 0;
        pieces++;
        show_next();
        show_piece();
        if (!room(0, column, row)) return;
        while (fall());
        lock();
        gone = vanish();
        lines += gone;
        earn(rewards[gone] * (level + 1) + dropped);
        up = (uint8_t)(lines / 10) + start_level;
        if (up > level) level = up > 20 ? 20 : up;
        show_numbers();
    }
}

static void title(void) {
    static const uint8_t sign[4][2] = {{5, 9}, {6, 9}, {7, 9}, {6, 8}};
    uint8_t i;
    clear_screen();
    write_text(6, 4, "FALLING");
    write_text(7, 6, "BLOCKS");
    for (i = 0; i < 4; i++) put(AT(sign[i][0], sign[i][1]), LOCKED);
    put(AT(11, 9), FALLING);
    put(AT(12, 9), FALLING);
    put(AT(12, 8), FALLING);
    put(AT(13, 8), FALLING);
    write_text(4, 13, "PRESS START");
    screen_on();
    await_start();
}

void main(void) {
    uint8_t i;
    load_tiles();
    for (i = 0; i < 3; i++) load_tile(LOCKED + i, tiles[i][0], tiles[i][1]);
    for (;;) {
        title();
        play();
        state = OVER;
        write_text(LEFT_EDGE, 8, "GAME OVER ");
        do next_frame(); while (!(pressed & START));
    }
}
