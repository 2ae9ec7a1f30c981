# SPDX-License-Identifier: Apache-2.0
# Bitstream for an Arty A7-100T with Vivado, from the root of the repository:
#   vivado -mode batch -source rtl/fpga/xilinx/arty.tcl -tclargs build/arty
set out [lindex $argv 0]
if {$out eq ""} { error "where to? -tclargs DIR" }
file mkdir $out
foreach list {rtl/dmt.f rtl/fpga/board.f} {
    set file [open $list]
    foreach line [split [read $file] "\n"] {
        if {[string match "rtl/*" $line]} { read_verilog [string trim $line] }
    }
    close $file
}
read_verilog rtl/fpga/xilinx/arty_top.v
read_xdc rtl/fpga/xilinx/arty.xdc
synth_design -top arty_top -part xc7a100tcsg324-1 -include_dirs {rtl rtl/fpga}
opt_design
place_design
phys_opt_design
route_design
report_utilization -file $out/utilization.txt
report_timing_summary -file $out/timing.txt
if {[get_property SLACK [get_timing_paths]] < 0} { error "the clock is missed, see $out/timing.txt" }
write_bitstream -force $out/arty.bit
