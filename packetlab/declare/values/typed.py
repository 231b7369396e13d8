"""What type checkers see of fields that take more forms than they give; never imported when a program runs."""

from __future__ import annotations

import ipaddress
import uuid
from enum import Enum
from typing import Generic, Self, TypeAlias, TypeVar, overload

import netaddr

T = TypeVar("T")
In = TypeVar("In", contravariant=True)


class Converted(Generic[T, In]):
    """For type checkers: a field that takes more forms (`In`) than it gives (`T`)."""

    @overload
    def __get__(self, header: None, owner: type) -> Converted[T, In]: ...
    @overload
    def __get__(self, header: object, owner: type) -> T: ...
    def __get__(self, header: object, owner: type) -> object: ...
    def __set__(self, header: object, value: In) -> None: ...


E = TypeVar("E", bound=Enum)

Named: TypeAlias = Converted[E, E | int | str]
IPAddress: TypeAlias = netaddr.IPAddress | ipaddress.IPv4Address | ipaddress.IPv6Address | str | int | bytes


class MAC(netaddr.EUI):
    """A field, and the value that it gives: `tuple[MAC, ...]` has such values, and `MAC("02:00:00:00:00:01")` is one."""

    @overload
    def __get__(self, header: None, owner: type) -> Converted[netaddr.EUI, netaddr.EUI | str | int | bytes]: ...
    @overload
    def __get__(self, header: object, owner: type) -> Self: ...
    def __get__(self, header: object, owner: type) -> object: ...
    def __set__(self, header: object, value: netaddr.EUI | str | int | bytes) -> None: ...


class IPv4Address(netaddr.IPAddress):
    """The same for addresses of IPv4."""

    @overload
    def __get__(self, header: None, owner: type) -> Converted[netaddr.IPAddress, IPAddress]: ...
    @overload
    def __get__(self, header: object, owner: type) -> Self: ...
    def __get__(self, header: object, owner: type) -> object: ...
    def __set__(self, header: object, value: IPAddress) -> None: ...


class IPv6Address(IPv4Address): ...


class UUID(uuid.UUID):
    """The same for UUIDs."""

    @overload
    def __get__(self, header: None, owner: type) -> Converted[uuid.UUID, uuid.UUID | str | bytes]: ...
    @overload
    def __get__(self, header: object, owner: type) -> Self: ...
    def __get__(self, header: object, owner: type) -> object: ...
    def __set__(self, header: object, value: uuid.UUID | str | bytes) -> None: ...


class GUID(UUID): ...
