"""How the records are judged and shown: tables and figures; needs neither torch nor fastai."""
