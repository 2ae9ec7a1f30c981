# SPDX-License-Identifier: Apache-2.0
# Arty A7-100T, the pins of arty_top.v.
set_property -dict {PACKAGE_PIN E3 IOSTANDARD LVCMOS33} [get_ports clk_100mhz_i]
create_clock -name clk_100mhz -period 10.0 [get_ports clk_100mhz_i]
set_property -dict {PACKAGE_PIN C2 IOSTANDARD LVCMOS33} [get_ports rst_ni]
set_property -dict {PACKAGE_PIN A9 IOSTANDARD LVCMOS33} [get_ports rxd_i]
set_property -dict {PACKAGE_PIN D10 IOSTANDARD LVCMOS33} [get_ports txd_o]
set_property -dict {PACKAGE_PIN H5 IOSTANDARD LVCMOS33} [get_ports {led_o[0]}]
set_property -dict {PACKAGE_PIN J5 IOSTANDARD LVCMOS33} [get_ports {led_o[1]}]
set_property -dict {PACKAGE_PIN T9 IOSTANDARD LVCMOS33} [get_ports {led_o[2]}]
set_property -dict {PACKAGE_PIN T10 IOSTANDARD LVCMOS33} [get_ports {led_o[3]}]
# Both go through synchronizers or to the eye.
set_false_path -from [get_ports {rst_ni rxd_i}]
set_false_path -to [get_ports {txd_o led_o[*]}]
set_property CFGBVS VCCO [current_design]
set_property CONFIG_VOLTAGE 3.3 [current_design]
