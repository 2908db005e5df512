"""
Throw everything away, by its other path
========================================
The nullSinkComponent of Kamaelia.Util.NullSink, which the original had twice.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.NullSinkComponent import nullSinkComponent

    Pipeline(DataSource(range(1000)), nullSinkComponent()).run()
"""

from Kamaelia.Util.NullSink import nullSinkComponent as nullSinkComponent
