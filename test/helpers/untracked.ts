/**
 * Is loaded before tap into each process that it starts, and takes off what costs time and tells nothing here. Tap follows
 * there which modules are loaded, for figures that nobody asks for, and in the servers and programs that the tests start
 * too: that doubled the processor time of a start. What matches this it leaves alone, so all.
 */
process.env._TAPJS_PROCESSINFO_EXCLUDE_ = '/./';

// What node strips of types keeps its lines and columns, so our own modules have no maps; those of others tell nothing.
process.setSourceMapsEnabled(false);
