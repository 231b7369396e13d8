"""A Wireshark dissector in Lua from declarations: `wireshark` writes tables, the .lua files beside it read by them."""
