"""Who is trained on, validated with and tested."""
