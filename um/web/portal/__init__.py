"""The self-care portal: pages for the owner of an account, rendered here, with a light script.

Laws:
- A page does what the API does, by the same use cases; nothing is decided here.
- Whatever comes from outside (callers' names, subjects, file names) is text, escaped by the template.
- Every form brings the session's token; what it did is said on the page that follows.
"""

from um.web.portal.desk import PortalDesk
from um.web.portal.pages import portal_pages
from um.web.portal.trouble import error_page

__all__ = ["PortalDesk", "error_page", "portal_pages"]
