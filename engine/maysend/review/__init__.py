"""One revision of the declarations against another: who comes, who goes, and which changed line moves them."""
