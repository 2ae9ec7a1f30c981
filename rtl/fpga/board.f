// SPDX-License-Identifier: Apache-2.0
// What a board has besides the IP (rtl/dmt.f), paths from the root of the
// repository. Top: dmt_board; boards' own tops stand beside it.
+incdir+rtl/fpga
rtl/fpga/dmt_board.v
rtl/fpga/dmt_crc32.v
rtl/fpga/dmt_frame_store.v
rtl/fpga/dmt_link.v
rtl/fpga/dmt_mailbox.v
rtl/fpga/dmt_uart.v
