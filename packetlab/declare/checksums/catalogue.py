"""The known CRCs: the public catalogue of parametrised CRC algorithms (G. Cook, reveng.sourceforge.io), names and numbers."""

from __future__ import annotations

from packetlab.declare.checksums.algorithms import Algorithm
from packetlab.declare.checksums.crc import crc_algorithm
from packetlab.errors import DeclareError, suggestion

# Name, polynomial, first register, which bit of a byte and of the result comes first, what the result is combined with,
# other names. The number in the name is the width.
_ROWS = """
CRC-3/GSM 3 0 high 7
CRC-3/ROHC 3 7 low 0
CRC-4/G-704 3 0 low 0 CRC-4/ITU
CRC-4/INTERLAKEN 3 f high f
CRC-5/EPC-C1G2 9 9 high 0 CRC-5/EPC
CRC-5/G-704 15 0 low 0 CRC-5/ITU
CRC-5/USB 5 1f low 1f
CRC-6/CDMA2000-A 27 3f high 0
CRC-6/CDMA2000-B 7 3f high 0
CRC-6/DARC 19 0 low 0
CRC-6/G-704 3 0 low 0 CRC-6/ITU
CRC-6/GSM 2f 0 high 3f
CRC-7/MMC 9 0 high 0 CRC-7
CRC-7/ROHC 4f 7f low 0
CRC-7/UMTS 45 0 high 0
CRC-8/AUTOSAR 2f ff high ff
CRC-8/BLUETOOTH a7 0 low 0
CRC-8/CDMA2000 9b ff high 0
CRC-8/DARC 39 0 low 0
CRC-8/DVB-S2 d5 0 high 0
CRC-8/GSM-A 1d 0 high 0
CRC-8/GSM-B 49 0 high ff
CRC-8/HITAG 1d ff high 0
CRC-8/I-432-1 7 0 high 55 CRC-8/ITU
CRC-8/I-CODE 1d fd high 0
CRC-8/LTE 9b 0 high 0
CRC-8/MAXIM-DOW 31 0 low 0 CRC-8/MAXIM DOW-CRC
CRC-8/MIFARE-MAD 1d c7 high 0
CRC-8/NRSC-5 31 ff high 0
CRC-8/OPENSAFETY 2f 0 high 0
CRC-8/ROHC 7 ff low 0
CRC-8/SAE-J1850 1d ff high ff
CRC-8/SMBUS 7 0 high 0 CRC-8
CRC-8/TECH-3250 1d ff low 0 CRC-8/AES CRC-8/EBU
CRC-8/WCDMA 9b 0 low 0
CRC-10/ATM 233 0 high 0 CRC-10 CRC-10/I-610
CRC-10/CDMA2000 3d9 3ff high 0
CRC-10/GSM 175 0 high 3ff
CRC-11/FLEXRAY 385 1a high 0 CRC-11
CRC-11/UMTS 307 0 high 0
CRC-12/CDMA2000 f13 fff high 0
CRC-12/DECT 80f 0 high 0 CRC-12-X
CRC-12/GSM d31 0 high fff
CRC-12/UMTS 80f 0 high-low 0 CRC-12/3GPP
CRC-13/BBC 1cf5 0 high 0
CRC-14/DARC 805 0 low 0
CRC-14/GSM 202d 0 high 3fff
CRC-15/CAN 4599 0 high 0 CRC-15
CRC-15/MPT1327 6815 0 high 1
CRC-16/ARC 8005 0 low 0 ARC CRC-16/LHA CRC-IBM CRC-16
CRC-16/CDMA2000 c867 ffff high 0
CRC-16/CMS 8005 ffff high 0
CRC-16/DDS-110 8005 800d high 0
CRC-16/DECT-R 589 0 high 1 R-CRC-16
CRC-16/DECT-X 589 0 high 0 X-CRC-16
CRC-16/DNP 3d65 0 low ffff
CRC-16/EN-13757 3d65 0 high ffff
CRC-16/GENIBUS 1021 ffff high ffff CRC-16/DARC CRC-16/EPC CRC-16/EPC-C1G2 CRC-16/I-CODE
CRC-16/GSM 1021 0 high ffff
CRC-16/IBM-3740 1021 ffff high 0 CRC-16/AUTOSAR CRC-16/CCITT-FALSE
CRC-16/IBM-SDLC 1021 ffff low ffff CRC-16/ISO-HDLC CRC-16/ISO-IEC-14443-3-B CRC-16/X-25 CRC-B X-25
CRC-16/ISO-IEC-14443-3-A 1021 c6c6 low 0 CRC-A
CRC-16/KERMIT 1021 0 low 0 CRC-16/CCITT CRC-16/CCITT-TRUE CRC-16/V-41-LSB CRC-CCITT KERMIT CRC-16/BLUETOOTH
CRC-16/LJ1200 6f63 0 high 0
CRC-16/M17 5935 ffff high 0
CRC-16/MAXIM-DOW 8005 0 low ffff CRC-16/MAXIM
CRC-16/MCRF4XX 1021 ffff low 0
CRC-16/MODBUS 8005 ffff low 0 MODBUS
CRC-16/NRSC-5 80b ffff low 0
CRC-16/OPENSAFETY-A 5935 0 high 0
CRC-16/OPENSAFETY-B 755b 0 high 0
CRC-16/PROFIBUS 1dcf ffff high ffff CRC-16/IEC-61158-2
CRC-16/RIELLO 1021 b2aa low 0
CRC-16/SPI-FUJITSU 1021 1d0f high 0 CRC-16/AUG-CCITT
CRC-16/T10-DIF 8bb7 0 high 0
CRC-16/TELEDISK a097 0 high 0
CRC-16/TMS37157 1021 89ec low 0
CRC-16/UMTS 8005 0 high 0 CRC-16/BUYPASS CRC-16/VERIFONE
CRC-16/USB 8005 ffff low ffff
CRC-16/XMODEM 1021 0 high 0 CRC-16/ACORN CRC-16/LTE CRC-16/V-41-MSB XMODEM ZMODEM
CRC-17/CAN-FD 1685b 0 high 0
CRC-21/CAN-FD 102899 0 high 0
CRC-24/BLE 65b 555555 low 0
CRC-24/FLEXRAY-A 5d6dcb fedcba high 0
CRC-24/FLEXRAY-B 5d6dcb abcdef high 0
CRC-24/INTERLAKEN 328b63 ffffff high ffffff
CRC-24/LTE-A 864cfb 0 high 0
CRC-24/LTE-B 800063 0 high 0
CRC-24/OPENPGP 864cfb b704ce high 0 CRC-24
CRC-24/OS-9 800063 ffffff high ffffff
CRC-30/CDMA 2030b9c7 3fffffff high 3fffffff
CRC-31/PHILIPS 4c11db7 7fffffff high 7fffffff
CRC-32/AIXM 814141ab 0 high 0 CRC-32Q
CRC-32/AUTOSAR f4acfb13 ffffffff low ffffffff
CRC-32/BASE91-D a833982b ffffffff low ffffffff CRC-32D
CRC-32/BZIP2 4c11db7 ffffffff high ffffffff CRC-32/AAL5 CRC-32/DECT-B B-CRC-32
CRC-32/CD-ROM-EDC 8001801b 0 low 0
CRC-32/CKSUM 4c11db7 0 high ffffffff CKSUM CRC-32/POSIX
CRC-32/ISCSI 1edc6f41 ffffffff low ffffffff CRC-32/BASE91-C CRC-32/CASTAGNOLI CRC-32/INTERLAKEN CRC-32C
CRC-32/ISO-HDLC 4c11db7 ffffffff low ffffffff CRC-32 CRC-32/ADCCP CRC-32/V-42 CRC-32/XZ PKZIP
CRC-32/JAMCRC 4c11db7 ffffffff low 0 JAMCRC
CRC-32/MEF 741b8cd7 ffffffff low 0
CRC-32/MPEG-2 4c11db7 ffffffff high 0
CRC-32/XFER af 0 high 0 XFER
CRC-40/GSM 4820009 0 high ffffffffff
CRC-64/ECMA-182 42f0e1eba9ea3693 0 high 0 CRC-64
CRC-64/GO-ISO 1b ffffffffffffffff low ffffffffffffffff
CRC-64/MS 259c84cba6426349 ffffffffffffffff low 0
CRC-64/NVME ad93d23594c93659 ffffffffffffffff low ffffffffffffffff
CRC-64/REDIS ad93d23594c935a9 0 low 0
CRC-64/WE 42f0e1eba9ea3693 ffffffffffffffff high ffffffffffffffff
CRC-64/XZ 42f0e1eba9ea3693 ffffffffffffffff low ffffffffffffffff CRC-64/GO-ECMA
CRC-82/DARC 308c0111011401440411 0 low 0
"""
_PARAMETERS: dict[str, tuple[int, int, int, bool, bool, int]] = {}
ALIASES: dict[str, str] = {}
"""Another name -> that of the catalogue."""
for _row in _ROWS.split("\n")[1:-1]:
    _name, _poly, _init, _bits, _xor, *_also = _row.split(" ")
    _width = int(_name[4:].partition("/")[0])
    _low, _out = _bits.startswith("low"), _bits.endswith("low")
    _PARAMETERS[_name] = _width, int(_poly, 16), int(_init, 16), _low, _out, int(_xor, 16)
    ALIASES.update(dict.fromkeys(_also, _name))
CRCS = tuple(_PARAMETERS)
"""The names of the catalogue."""


def named_crc(name: object, where: str) -> Algorithm:
    """Return the CRC of a name of the catalogue. DeclareError for one that is not there.

    >>> named_crc("X-25", "").name
    'CRC-16/IBM-SDLC'
    """
    called = ALIASES.get(name, name) if isinstance(name, str) else name
    if not isinstance(called, str) or called not in _PARAMETERS:
        known = [*_PARAMETERS, *ALIASES]
        hint = suggestion(str(name)[:99].upper(), known) or "give its parameters: crc(16, ..., poly=0x8005)"
        raise DeclareError(where, "the name of a CRC, as in the catalogue of CRCs", repr(name)[:99], hint)
    return crc_algorithm(*_PARAMETERS[called], called)


CRC32 = crc_algorithm(*_PARAMETERS["CRC-32/ISO-HDLC"], "crc32")
CRC32C = crc_algorithm(*_PARAMETERS["CRC-32/ISCSI"], "crc32c")
SCTP = crc_algorithm(*_PARAMETERS["CRC-32/ISCSI"], "sctp", swapped=True)
