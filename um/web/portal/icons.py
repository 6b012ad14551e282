"""Line drawings of 24 by 24, one path each. Data, drawn for this portal."""

from collections.abc import Mapping
from types import MappingProxyType

ICONS: Mapping[str, str] = MappingProxyType(
    {
        "voice": "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3z"
        "M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M8.5 21h7",
        "fax": "M7 8V3h8l3 3v2M5 8h14a2 2 0 0 1 2 2v7a1 1 0 0 1-1 1h-2v-4H6v4H4a1 1 0 0 1-1-1v-7"
        "a2 2 0 0 1 2-2zM8 14v7h8v-7",
        "invoice": "M6 3h12v18l-2-1.5-2 1.5-2-1.5-2 1.5-2-1.5L6 21zM9 8h6M9 12h6M9 16h3",
        "mail": "M3.5 5.5h17v13h-17zM4 6l8 7 8-7",
        "notice": "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
        "inbox": "M3 13l3-8h12l3 8v6H3zM3 13h5l1.5 3h5L16 13h5",
        "trash": "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
        "folder": "M3 6h6l2 2h10v11H3z",
        "settings": "M4 7h10M18 7h2M4 17h2M10 17h10M14 4.5v5M6 14.5v5",
        "phone": "M6 3h3l2 5-2.5 1.5a12 12 0 0 0 6 6L16 13l5 2v3a3 3 0 0 1-3 3A15 15 0 0 1 3 6"
        "a3 3 0 0 1 3-3z",
        "forward": "M13 5l7 7-7 7M20 12H4",
        "lock": "M6 11h12v10H6zM8.5 11V7.5a3.5 3.5 0 0 1 7 0V11M12 15v2",
        "history": "M4 12a8 8 0 1 0 2.5-5.8L4 8.5M4 4v4.5h4.5M12 8v4.5l3 2",
        "export": "M12 3v12M7.5 10.5L12 15l4.5-4.5M4 17v4h16v-4",
        "logout": "M10 4H4v16h6M15 8l4 4-4 4M19 12H9",
        "search": "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L21 21",
        "back": "M19 12H5M11 6l-6 6 6 6",
        "restore": "M4 10h10a5 5 0 0 1 0 10h-3M8 6l-4 4 4 4",
        "play": "M8 5l11 7-11 7z",
        "user": "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20.5a7.5 6.5 0 0 1 15 0",
        "check": "M5 12.5l4.5 4.5L19 7.5",
        "unread": "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
        "warning": "M12 4l9 16H3zM12 10v4.5M12 17v.5",
    }
)
