"""Where results are kept: tables, migrations, rows, export."""
