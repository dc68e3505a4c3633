/**
 * Is loaded before tap into each process that it starts. Tap follows there which modules are loaded, for figures that
 * nobody asks for here, and in the servers and programs that the tests start too: that doubled the processor time of
 * a start. What matches this it leaves alone, so all.
 */
process.env._TAPJS_PROCESSINFO_EXCLUDE_ = '/./';
