"""``python -m Kamaelia.Apps.Grey`` is kamaelia-grey."""

import sys

from Kamaelia.Apps.Grey.Daemon import main

sys.exit(main())
