// SPDX-License-Identifier: Apache-2.0
// Constants of the board's host link and commands, once: the Makefile turns
// each line below into a C definition (build/board.h). docs/board.md says what
// they mean. VERSION counts every change of a frame, a command or an answer.
`ifndef DMT_BOARD_VH
`define DMT_BOARD_VH

`define DMT_BOARD_VERSION 16'd2

// frames: sync, control, session(2), seq(2), ack(2), len, payload, CRC-32(4)
`define DMT_LINK_SYNC     8'hd3
`define DMT_LINK_HEAD     4'd9
`define DMT_LINK_LEN_MAX  8'd255
// control: the epoch in bits 7:4, and
`define DMT_LINK_BOARD    8'h08
`define DMT_LINK_HELLO    8'h04
`define DMT_LINK_NAK      8'h02

// commands; an answer starts with the code of its command
`define DMT_CMD_IDENTIFY  8'h01
`define DMT_CMD_STORE     8'h02
`define DMT_CMD_FETCH     8'h03
`define DMT_CMD_MAP       8'h04
`define DMT_CMD_CSR_WRITE 8'h05
`define DMT_CMD_CSR_READ  8'h06
`define DMT_CMD_TRANSLATE 8'h07
`define DMT_CMD_FENCE     8'h08
`define DMT_CMD_RESET     8'h09
// answers that come when they come
`define DMT_ANS_RESULT    8'h11
`define DMT_ANS_UPDATE    8'h12
`define DMT_ANS_UNKNOWN   8'hff

// bytes after the code
`define DMT_ID_BYTES      6'd40
`define DMT_RESULT_BYTES  6'd35
`define DMT_UPDATE_BYTES  6'd17

// a word of the frame map: block number from bit 0, slot from bit 48
`define DMT_MAP_SLOT_LSB  6'd48
`define DMT_MAP_ZERO_BIT  6'd62
`define DMT_MAP_VALID_BIT 6'd63

`endif
