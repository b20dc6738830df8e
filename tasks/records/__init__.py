"""From files of logs and rows, in whatever form others write them, to conversations, documents and feedback."""
