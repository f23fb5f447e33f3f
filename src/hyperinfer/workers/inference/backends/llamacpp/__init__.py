"""The embedded engine: llama.cpp's own server in a child process, so that a crash of native code costs a restart."""
