"""What is tried at an endpoint: done, not believed. Without a test patient and a word to write nothing there is changed."""
