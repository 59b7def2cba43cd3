module github.com/hashicorp/terraform/internal/stub

go 1.25.8
