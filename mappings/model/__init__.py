"""What a second opinion is: frozen values, enums and tables, no input or output."""
