"""From a component to a netlist, and to what it takes on a device."""
