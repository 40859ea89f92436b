"""Image files made to crash, exhaust or fool a decoder, and the ordinary ones beside them."""
