// SPDX-License-Identifier: Apache-2.0
// dmt_trace: the walk trace port.
//
// Four groups of outputs tell what every walk does: a request leaves the
// front, an entry is read, an entry is written back, an answer is given
// (docs/microarchitecture.md 6). Outputs only, one cycle late, zero when
// nothing happened; synthesis drops what is not connected.
`default_nettype none

module dmt_trace #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // requester tag width
    parameter TAG_W = 8
) (
    input  wire             clk_i,
    input  wire             rst_i,

    input  wire             req_valid_i,
    input  wire [31:0]      req_order_i,
    input  wire [TAG_W-1:0] req_tag_i,
    input  wire [63:0]      req_va_i,
    input  wire [1:0]       req_access_i,
    input  wire [1:0]       req_cpl_i,
    input  wire             req_ac_i,
    input  wire             req_implicit_i,
    input  wire             req_nonspec_i,

    input  wire             ref_valid_i,
    input  wire             upd_valid_i,
    input  wire [31:0]      step_order_i,
    input  wire [1:0]       step_stage_i,
    input  wire [2:0]       step_level_i,
    input  wire             step_tea_i,
    input  wire [5:0]       step_index_i,
    input  wire             step_lock_i,
    input  wire [PA_W-1:3]  step_addr_i,
    input  wire [63:0]      step_data_i,
    input  wire [1:0]       step_resp_i,

    input  wire             end_valid_i,
    input  wire [31:0]      end_order_i,
    input  wire [TAG_W-1:0] end_tag_i,
    input  wire [3:0]       end_status_i,
    input  wire [PA_W-1:0]  end_pa_i,
    input  wire [1:0]       end_size_i,
    input  wire [3:0]       end_rights_i,
    input  wire             end_global_i,
    input  wire [3:0]       end_pkey_i,
    input  wire [6:0]       end_memtype_i,
    input  wire             end_dirty_i,
    input  wire             end_ad_needed_i,
    input  wire [33:0]      end_error_i,
    input  wire [63:0]      end_addr_i,
    input  wire [1:0]       end_stage_i,
    input  wire [5:0]       end_path_i,
    input  wire [17:0]      end_index_i,
    input  wire [31:0]      end_stamp_i,
    input  wire [31:0]      cycle_i,

    output reg              wt_req_valid_o,
    output reg [31:0]       wt_req_order_o,
    output reg [TAG_W-1:0]  wt_req_tag_o,
    output reg [63:0]       wt_req_va_o,
    output reg [1:0]        wt_req_access_o,
    output reg [1:0]        wt_req_cpl_o,
    output reg              wt_req_ac_o,
    output reg              wt_req_implicit_o,
    output reg              wt_req_nonspec_o,

    output reg              wt_ref_valid_o,
    output reg [31:0]       wt_ref_order_o,
    output reg [1:0]        wt_ref_stage_o,
    output reg [2:0]        wt_ref_level_o,
    output reg              wt_ref_tea_o,
    output reg [5:0]        wt_ref_index_o,
    output reg              wt_ref_lock_o,
    output reg [PA_W-1:0]   wt_ref_addr_o,
    output reg [63:0]       wt_ref_data_o,
    output reg [1:0]        wt_ref_resp_o,

    output reg              wt_upd_valid_o,
    output reg [31:0]       wt_upd_order_o,
    output reg [1:0]        wt_upd_stage_o,
    output reg [PA_W-1:0]   wt_upd_addr_o,
    output reg [63:0]       wt_upd_data_o,
    output reg [1:0]        wt_upd_resp_o,

    output reg              wt_end_valid_o,
    output reg [31:0]       wt_end_order_o,
    output reg [TAG_W-1:0]  wt_end_tag_o,
    output reg [3:0]        wt_end_status_o,
    output reg [PA_W-1:0]   wt_end_pa_o,
    output reg [1:0]        wt_end_size_o,
    output reg [3:0]        wt_end_rights_o,
    output reg              wt_end_global_o,
    output reg [3:0]        wt_end_pkey_o,
    output reg [6:0]        wt_end_memtype_o,
    output reg              wt_end_dirty_o,
    output reg              wt_end_ad_needed_o,
    output reg [33:0]       wt_end_error_o,
    output reg [63:0]       wt_end_addr_o,
    output reg [1:0]        wt_end_stage_o,
    output reg [5:0]        wt_end_path_o,
    output reg [17:0]       wt_end_index_o,
    output reg [31:0]       wt_end_clocks_o
);

    wire req = req_valid_i && !rst_i;
    wire rd  = ref_valid_i && !rst_i;
    wire upd = upd_valid_i && !rst_i;
    wire fin = end_valid_i && !rst_i;

    always @(posedge clk_i) begin
        wt_req_valid_o    <= req;
        wt_req_order_o    <= req_order_i    & {32{req}};
        wt_req_tag_o      <= req_tag_i      & {TAG_W{req}};
        wt_req_va_o       <= req_va_i       & {64{req}};
        wt_req_access_o   <= req_access_i   & {2{req}};
        wt_req_cpl_o      <= req_cpl_i      & {2{req}};
        wt_req_ac_o       <= req_ac_i       && req;
        wt_req_implicit_o <= req_implicit_i && req;
        wt_req_nonspec_o  <= req_nonspec_i  && req;

        wt_ref_valid_o <= rd;
        wt_ref_order_o <= step_order_i & {32{rd}};
        wt_ref_stage_o <= step_stage_i & {2{rd}};
        wt_ref_level_o <= step_level_i & {3{rd}};
        wt_ref_tea_o   <= step_tea_i   && rd;
        wt_ref_index_o <= step_index_i & {6{rd && step_tea_i}};
        wt_ref_lock_o  <= step_lock_i  && rd;
        wt_ref_addr_o  <= {step_addr_i & {(PA_W-3){rd}}, 3'd0};
        wt_ref_data_o  <= step_data_i  & {64{rd}};
        wt_ref_resp_o  <= step_resp_i  & {2{rd}};

        wt_upd_valid_o <= upd;
        wt_upd_order_o <= step_order_i & {32{upd}};
        wt_upd_stage_o <= step_stage_i & {2{upd}};
        wt_upd_addr_o  <= {step_addr_i & {(PA_W-3){upd}}, 3'd0};
        wt_upd_data_o  <= step_data_i  & {64{upd}};
        wt_upd_resp_o  <= step_resp_i  & {2{upd}};

        wt_end_valid_o     <= fin;
        wt_end_order_o     <= end_order_i     & {32{fin}};
        wt_end_tag_o       <= end_tag_i       & {TAG_W{fin}};
        wt_end_status_o    <= end_status_i    & {4{fin}};
        wt_end_pa_o        <= end_pa_i        & {PA_W{fin}};
        wt_end_size_o      <= end_size_i      & {2{fin}};
        wt_end_rights_o    <= end_rights_i    & {4{fin}};
        wt_end_global_o    <= end_global_i    && fin;
        wt_end_pkey_o      <= end_pkey_i      & {4{fin}};
        wt_end_memtype_o   <= end_memtype_i   & {7{fin}};
        wt_end_dirty_o     <= end_dirty_i     && fin;
        wt_end_ad_needed_o <= end_ad_needed_i && fin;
        wt_end_error_o     <= end_error_i     & {34{fin}};
        wt_end_addr_o      <= end_addr_i      & {64{fin}};
        wt_end_stage_o     <= end_stage_i     & {2{fin}};
        wt_end_path_o      <= end_path_i      & {6{fin}};
        wt_end_index_o     <= end_index_i     & {18{fin}};
        wt_end_clocks_o    <= (cycle_i - end_stamp_i + 32'd1) & {32{fin}};
    end

endmodule

`default_nettype wire
