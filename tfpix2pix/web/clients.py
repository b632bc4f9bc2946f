"""Tells clients apart by their addresses."""

import ipaddress


def name_client(host: str) -> str:
    """Returns the address of a client; of IPv6 its network, because one customer has many addresses."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
