"""Xerox NS without input and output: IDP and its routing, packet exchange, sequenced packets (SPP).

    idp     a host's layer: receives, routes, answers echoes and errors; `rip` its routes, `pex` packet exchange
    spp     one connection; its states are a table in `spp_states`, its timers in `spp_timing` and `spp_send`

They are run by `network.host`.
"""
