; Start of a 32 KiB Game Boy program without a logo and without a boot ROM's help: reset, the vertical blank, and the
; two routines that must be quick enough for it.
        .module crt0
        .globl  _main, _queue, _queue_length, _sprites

VBLANK = 0x80                   ; high page: set by the interrupt, cleared by who waits for it

        .area   _HEADER (ABS)
        .org    0x0040          ; vertical blank interrupt
        push    af
        ld      a, #1
        ldh     (VBLANK), a
        pop     af
        reti

        .org    0x0100
        nop
        jp      0x0150

        .org    0x0150
        di
        ld      sp, #0xdfff
        xor     a, a            ; all of work RAM is zero before anything runs
        ld      hl, #0xc000
1$:     ld      (hl+), a
        ld      b, a
        ld      a, h
        cp      a, #0xdf
        ld      a, b
        jr      nz, 1$
        ldh     (VBLANK), a
        ldh     (0x0f), a
        ld      a, #1
        ldh     (0xff), a       ; the vertical blank is the only interrupt
        ei
        call    _main
2$:     halt
        nop
        jr      2$

        .area   _HOME
        .area   _CODE
        .area   _DATA
        .area   _BSS

        .area   _CODE
; void wait_vblank(void): sleep until the next vertical blank begins.
_wait_vblank::
        xor     a, a
        ldh     (VBLANK), a
1$:     halt
        nop
        ldh     a, (VBLANK)
        or      a, a
        jr      z, 1$
        ret

; void flush(void): write the queued tiles (address low, address high, tile) and the four sprites to the screen.
; 14 cycles a tile and 240 for the sprites; a vertical blank has 1140.
_flush::
        ld      hl, #_sprites
        ld      de, #0xfe00
        ld      b, #16
1$:     ld      a, (hl+)
        ld      (de), a
        inc     e
        dec     b
        jr      nz, 1$
        ld      hl, #_queue_length
        ld      a, (hl)
        or      a, a
        ret     z
        ld      b, a
        ld      (hl), #0
        ld      hl, #_queue
2$:     ld      a, (hl+)
        ld      e, a
        ld      a, (hl+)
        ld      d, a
        ld      a, (hl+)
        ld      (de), a
        dec     b
        jr      nz, 2$
        ret
