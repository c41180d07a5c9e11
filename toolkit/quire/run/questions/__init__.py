"""What a run asks a person: who is asked, what fits as an answer, and where it is waited for."""
