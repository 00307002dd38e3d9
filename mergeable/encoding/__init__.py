"""Values as bytes: plain data, sealed archives, and an order that equal values share."""
